"""The interactive views: thin state and events over the pictures of :mod:`mini_ism.views`.

Controls are core ipywidgets, version 7.7.1 or 8, except for the chat's
:class:`~mini_ism.widgets.message_box.MessageBox`. Pictures stand on a :class:`~mini_ism.widgets.surface.Surface`. Both
are small anywidget front ends inside this package, which work offline in JupyterLab and Colab.
"""

from mini_ism.widgets.attention_explorer import AttentionExplorer
from mini_ism.widgets.cache_player import CachePlayer
from mini_ism.widgets.chat import ChatWidget
from mini_ism.widgets.mask_explorer import MaskExplorer
from mini_ism.widgets.training_monitor import TrainingMonitor

__all__ = ["AttentionExplorer", "CachePlayer", "ChatWidget", "MaskExplorer", "TrainingMonitor"]
